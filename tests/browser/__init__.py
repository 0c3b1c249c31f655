"""What people do with the console, in a real Chromium, on the whole running stack."""
