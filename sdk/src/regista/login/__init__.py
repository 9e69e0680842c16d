"""Sign in as a person with the identity provider of an organisation, by OpenID Connect."""
