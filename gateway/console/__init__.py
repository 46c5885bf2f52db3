"""The web console of whoever runs the gateway: pages made here, on the server, which need nothing from elsewhere."""
