"""Text as it is compared: named normalisers, numbers as words, edit errors between what was asked for and heard."""
