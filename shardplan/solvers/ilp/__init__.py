"""The exact solver: an integer program, solved by HiGHS or, through PuLP, by CBC.

Nothing breaks the symmetry of equal ranks and hosts: leaving out equal places made no
difference (12 to 20 tables on 4 ranks), and HiGHS's own detection is off: with it HiGHS
1.11 to 1.15 call plans optimal that are 1 % above the optimum.
"""
