# SPDX-License-Identifier: Apache-2.0
"""The demo: two real models on ATen and on Carat, side by side. Run it with `python -m carat.demo`."""
