"""Pure decisions: records, fingerprints, three-way merge, plan, guard, life cycle. No I/O, no clock."""
