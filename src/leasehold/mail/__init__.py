"""The mail port: what is to be sent is a job like any other, so it is sent if, and only if, the work was committed."""
