"""cleanup: proposes what may go, by time and use, and says why everything else stays. registry decides."""
