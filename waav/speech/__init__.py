"""What speech is: audio, commands, events, turns. Pure values and rules, no IO, no clock."""
