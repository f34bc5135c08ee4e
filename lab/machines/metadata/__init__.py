"""The instance metadata service, version 2 (IMDSv2), of the lab's VPCs."""
