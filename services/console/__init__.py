"""The web console: pages for people, made of what the services answer to the person who looks."""
