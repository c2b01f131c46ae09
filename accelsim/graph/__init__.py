"""What has to be computed: operators of a Transformer, with no device in sight."""
