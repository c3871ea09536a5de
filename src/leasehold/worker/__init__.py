"""The worker: calls jobs, each in a session that is bound like a request's, and lets none be lost or done twice."""
