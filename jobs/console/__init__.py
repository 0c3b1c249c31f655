"""The pages: views, forms and their addresses."""
