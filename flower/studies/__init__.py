"""Studies on real data that pages in docs/studies show: ``python -m studies.robustness`` and ``studies.non_iid``."""
