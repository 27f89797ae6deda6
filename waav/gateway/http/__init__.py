"""HTTP from the connection to the routes: what is done with every request and every answer."""
