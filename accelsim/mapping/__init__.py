"""Who computes what, when allowed: operators become kernels that demand work on named resources."""
