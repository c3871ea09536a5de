"""What logging in takes and refuses, the same in each plane: passwords, codes, and what is wrong with them."""
