"""From a resolved request to rows: by events, by roofline, or by LLM-Viewer's convention."""
