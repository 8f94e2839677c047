"""Why a network answers as it does: heat maps, filters, maps, what excites a unit, and every number traced back."""
