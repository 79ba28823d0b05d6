"""The experiments of the FABRIC paper: tasks, systems, rounds with feedback, results."""
