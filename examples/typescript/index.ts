// A pair, and a database subnet on its left side whose only way out is the other region, through the tunnel.
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as vpn from "@pulumi/vpn-gateway-pair";

const rightNetwork = "172.31.0.0/16";

const config = new pulumi.Config();
const pair = new vpn.VpnGatewayPair("office", {
    left: { name: "uk", region: "eu-west-2", cidrBlock: "10.1.0.0/16" },
    right: { name: "au", region: "ap-southeast-2", cidrBlock: rightNetwork },
    administratorCidrBlocks: config.requireObject<string[]>("administratorCidrBlocks"),
    verify: config.requireBoolean("verify"),
});

const provider = new aws.Provider("uk", { region: "eu-west-2" });
const subnet = new aws.ec2.Subnet("database", { vpcId: pair.left.vpcId, cidrBlock: "10.1.20.0/24" }, { provider });
const routes = new aws.ec2.RouteTable("database", { vpcId: pair.left.vpcId }, { provider });
new aws.ec2.RouteTableAssociation("database", { subnetId: subnet.id, routeTableId: routes.id }, { provider });
new aws.ec2.Route("database-to-au", {
    routeTableId: routes.id,
    destinationCidrBlock: rightNetwork,
    networkInterfaceId: pair.left.networkInterfaceId,
}, { provider });

export const databaseSubnet = subnet.id;
export const gateway = pair.left.publicIp;
