"""What files hold: records that are checked once and never change."""
