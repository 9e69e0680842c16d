"""Sign in as a person with the issuer of an organisation, by OpenID Connect."""
