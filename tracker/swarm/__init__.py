"""Who has what: the swarms and their peers, in memory or in Valkey, behind one contract."""
