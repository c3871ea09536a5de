"""The OpenAPI document, and Swagger UI that loads nothing from outside."""
