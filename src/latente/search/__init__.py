"""Search by code: what is most like this, and what is here twice."""
