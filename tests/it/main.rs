mod harness {}
