"""HTTP that every door shares: sign-in, limits, bodies, ranges, conditions. No protocol's verbs."""
