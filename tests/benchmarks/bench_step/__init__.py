"""How well what is minimised orders the steps that are simulated, on pools of plans."""
