// A pair, and a rule that lets the other region's hosts reach databases on its left side, through the tunnel.
package main

import (
	"example.com/pulumi-vpn-gateway-pair/sdk/go/vpngatewaypair"
	"github.com/pulumi/pulumi-aws/sdk/v7/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v7/go/aws/vpc"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

const rightNetwork = "172.31.0.0/16"

func main() {
	pulumi.Run(program)
}

func program(ctx *pulumi.Context) error {
	settings := config.New(ctx, "")
	var administrators []string
	settings.RequireObject("administratorCidrBlocks", &administrators)
	pair, err := vpngatewaypair.NewVpnGatewayPair(ctx, "office", &vpngatewaypair.VpnGatewayPairArgs{
		Left:                    vpngatewaypair.SiteArgsArgs{Name: "uk", Region: "eu-west-2", CidrBlock: "10.1.0.0/16"},
		Right:                   vpngatewaypair.SiteArgsArgs{Name: "au", Region: "ap-southeast-2", CidrBlock: rightNetwork},
		AdministratorCidrBlocks: administrators,
		Verify:                  pulumi.BoolRef(settings.RequireBool("verify")),
	})
	if err != nil {
		return err
	}
	uk, err := aws.NewProvider(ctx, "uk", &aws.ProviderArgs{Region: pulumi.String("eu-west-2")})
	if err != nil {
		return err
	}
	rule, err := vpc.NewSecurityGroupIngressRule(ctx, "database", &vpc.SecurityGroupIngressRuleArgs{
		SecurityGroupId: pair.Left.PrivateHostsSecurityGroupId(),
		IpProtocol:      pulumi.String("tcp"),
		FromPort:        pulumi.Int(5432),
		ToPort:          pulumi.Int(5432),
		CidrIpv4:        pulumi.String(rightNetwork),
	}, pulumi.Provider(uk))
	if err != nil {
		return err
	}
	ctx.Export("rule", rule.ID())
	ctx.Export("gateway", pair.Left.PublicIp())
	return nil
}
