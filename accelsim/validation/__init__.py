"""Published and measured figures beside what accelsim gives for the same case: `accelsim validate`."""
