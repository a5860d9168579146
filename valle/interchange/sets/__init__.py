"""Export of training sets in the formats of other projects."""
