"""Pages as of a moment: what the services state about then, without forms and acts."""
