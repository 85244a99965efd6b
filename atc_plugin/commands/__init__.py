"""The commands of `atc`: a file each, called `command` there; what computes is imported when one is run."""
