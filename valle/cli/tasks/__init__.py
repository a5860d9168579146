"""Commands of the tasks beside text-to-speech."""
