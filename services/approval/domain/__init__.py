"""What approval decides, pure: `policy`, `gate` and `review` are its streams; `promotion` decides over several of them at once."""
