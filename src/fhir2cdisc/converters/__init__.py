"""The engines of the flow; they know no domain, no resource type and no parameter."""
