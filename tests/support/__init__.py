"""Writers and fakes that several suites share."""
