"""Making light fields: teachers that know a ray's colour, and the training that copies them."""
