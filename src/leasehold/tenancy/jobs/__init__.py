"""Jobs: what is to be done after the answer, for a tenant or for the platform, as often as it should.

A job is asked for in the transaction of the work that needs it, carries its tenant, and is called by a worker in a
session that is bound like a request's.
"""
