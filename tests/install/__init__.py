"""The package as pip installs it, not the checkout."""
