"""What should happen to a run, decided from what is known of it. Pure: no clock, no chance, no world."""
