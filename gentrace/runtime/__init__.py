"""What runs inside the host: start-up, guard, patching, context, run store, export, hooks."""
