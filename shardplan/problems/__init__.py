"""What there is to decide: options of every table, and what each costs."""
