"""The exact solver: an integer program built with PuLP and solved by HiGHS.

Nothing breaks the symmetry of equal ranks and hosts: HiGHS finds it by itself, and
leaving out equal places made no difference (12 to 20 tables on 4 ranks).
"""
