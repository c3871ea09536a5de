"""The doctor: examines a live installation, changes nothing in it, and says how to mend what it finds.

Read in the order finding, site, the checks by theme, examination. A check asks a bounded number of questions: none of
them is asked once per tenant unless the examination is a deep one.
"""
