"""Pure decisions on targets of mirrors."""
