"""``python -m warehouse.kernels``: compile every kernel, at install time."""

from warehouse.kernels.warm import main

if __name__ == "__main__":
    main()
