"""What can be described: frozen, validated records without behaviour."""
