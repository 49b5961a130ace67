"""Pages in HTML that need nothing but a browser: templates, style, script, figures."""
