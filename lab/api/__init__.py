"""The AWS API: moto, corrected where it differs from AWS and strict where it is lax."""
