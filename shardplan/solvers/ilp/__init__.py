"""The exact solver: an integer program, solved by HiGHS or, through PuLP, by CBC.

Nothing breaks the symmetry of equal ranks and hosts: HiGHS finds it by itself, and
leaving out equal places made no difference (12 to 20 tables on 4 ranks).
"""
