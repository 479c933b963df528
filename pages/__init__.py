"""What a marketer sees."""
